"""What a model draws, kept for a loop that is written by hand."""


def recording(model, method="draw_latents"):
    """What the model's method draws (latents, shares), in its order; the model is told to keep them."""
    drawn, draw = [], getattr(model, method)

    def draw_and_keep(*asked, **options):
        drawn.append(draw(*asked, **options))
        return drawn[-1]

    setattr(model, method, draw_and_keep)
    return drawn
