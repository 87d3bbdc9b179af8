"""Networks: layers, activations, losses and initialisers as immutable descriptions."""
