"""Networks in torch: the encoder, the quantizer, the WaveNet, and what they share."""
