"""What a model draws, kept for a loop that is written by hand."""


def recording(model):
    """The latents that the model draws, in their order; the model is told to keep them."""
    drawn, draw = [], model.draw_latents

    def draw_and_keep(count):
        drawn.append(draw(count))
        return drawn[-1]

    model.draw_latents = draw_and_keep
    return drawn
