"""The keypoint stream: messages, publisher, subscribers, keys, replay."""
