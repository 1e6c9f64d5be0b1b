"""The sandbox: the network on one machine, its data, its scenarios and what a person sees of it."""
