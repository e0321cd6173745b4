"""Reading a source over the network: guarded, polite, and at its own rhythm."""
