"""What `rigpose doctor` looks at: this installation, this host, this rig."""
