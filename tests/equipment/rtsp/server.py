"""A network camera: GStreamer's RTSP server on loopback, H.264 of a test picture.

server.py PORT RATE_HZ WIDTH HEIGHT, with a Python that has `gi`; PORT 0 is any free one. Prints the port once
it listens.
"""

from __future__ import annotations

import sys


def serve(port: str, rate_hz: int, width: int, height: int) -> None:
    import gi

    gi.require_version("Gst", "1.0")
    gi.require_version("GstRtspServer", "1.0")
    from gi.repository import GLib, Gst, GstRtspServer

    Gst.init(None)
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(
        f"( videotestsrc is-live=true pattern=ball ! video/x-raw,format=I420,width={width},height={height},"
        f"framerate={rate_hz}/1 ! x264enc tune=zerolatency speed-preset=ultrafast key-int-max={rate_hz} "
        "! rtph264pay name=pay0 pt=96 config-interval=1 )"
    )
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(port)
    server.get_mount_points().add_factory("/cam", factory)
    server.attach(None)
    print(server.get_bound_port(), flush=True)
    GLib.MainLoop().run()


if __name__ == "__main__":
    serve(sys.argv[1], *(int(word) for word in sys.argv[2:5]))
