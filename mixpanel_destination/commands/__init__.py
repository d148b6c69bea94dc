"""What the commands do, without their arguments and output."""
