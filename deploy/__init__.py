"""Model bundles, runtimes, the live pipeline, the keypoint stream, offline analysis.

Imports calibration and acquisition; never torch.
"""
