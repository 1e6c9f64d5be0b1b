"""The portal of the clients of care (party of kind `portaal`): what a client sees and decides in a browser on this machine."""
