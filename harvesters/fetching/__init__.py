"""Reading a source over the network: polite, patient, and at its own rhythm."""
