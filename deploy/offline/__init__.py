"""Poses of recordings and videos: found, filtered, drawn, measured, exported."""
