"""Camera drivers: one file each, one line each in `acquisition.camera.DRIVERS`."""
