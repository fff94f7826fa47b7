"""What a file or folder is, and the chain it came from: labels, run, bundle, calibration, poses."""
