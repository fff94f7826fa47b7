"""TensorRT on an NVIDIA GPU: an engine built here and kept, one CUDA graph a call, images resampled there.

`engine` builds, `engine_cache` keeps, `runtime` runs; `preprocess` is `deploy.bundles.preprocess` on the GPU,
and `device` and `graph` are what is asked of CUDA. Vendor packages are imported on use.
"""
