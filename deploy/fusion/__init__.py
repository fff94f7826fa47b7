"""Several hosts, one 3D rig: their 2D poses joined pulse by pulse, triangulated, published as one stream."""
