"""All views of a rig without a model: pictures, and the figures one sets cameras up by."""
