"""What takes too long for every change: faults, bad input, proxies, deployment, load, time."""
