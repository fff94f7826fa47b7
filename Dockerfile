# The desktop: everything but cameras, on the processor.
#
#   docker build -t rigpose . && docker run --rm -it -v "$PWD":/work rigpose demo
#
# Not built as an image yet; its one step, `make install`, runs with every change.
FROM python:3.12-slim-bookworm
RUN apt-get update && apt-get install -y --no-install-recommends make && rm -rf /var/lib/apt/lists/*
COPY . /opt/rigpose
RUN make -C /opt/rigpose install
WORKDIR /work
ENTRYPOINT ["/opt/rigpose/.venv/bin/rigpose"]
CMD ["--help"]
