"""What a network is shipped in, and running it: from an image to keypoints."""
