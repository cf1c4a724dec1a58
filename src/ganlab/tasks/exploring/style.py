"""How the page looks: fonts that the system has, and little of gradio's own around what is shown."""

import gradio

STYLE = """
#heading h1 { font-size: 1.6rem; font-weight: 650; margin: 0; }
#heading p, .note { color: var(--body-text-color-subdued); margin: 0.3rem 0 0; font-size: 0.9rem; }
.figures { display: flex; flex-wrap: wrap; gap: 0.9rem; align-items: flex-end; }
.figures figure { margin: 0; max-width: 100%; }
.figures figcaption { font-size: 0.85rem; color: var(--body-text-color-subdued); padding-top: 0.25rem; }
figure.pixels img { image-rendering: pixelated; }
.figures img { max-width: 100%; height: auto; border-radius: 3px; }
.beside > button { align-self: stretch; }
@media (max-width: 720px) {
  /* The picture stays in sight while the sliders below are moved. */
  #bench { display: flex; flex-direction: column; flex-wrap: nowrap; }
  #seen, #controls { display: contents; }
  #shown, #controls > * { order: 1; }
  #more { order: 2; }
  #shown { position: sticky; top: 0; z-index: 1000; background: var(--body-background-fill); padding: 0.4rem 0; }
  #shown .figures { flex-wrap: nowrap; }
  #shown img { max-height: 34vh; width: auto; }
}
footer { display: none !important; }
"""

FRAME = """<style>
.gradio-container { max-width: 1500px !important; margin: 0 auto !important; }
@media (max-width: 720px) { .gradio-container { overflow: visible !important; } }
</style>"""
"""What gradio would not let a page's own rules reach: it confines those to what is within its container."""


def theme() -> gradio.themes.Base:
    """Gradio's default in blue and gray; a font that is named is not fetched."""
    font = gradio.themes.Font
    return gradio.themes.Default(
        primary_hue="blue",
        neutral_hue="slate",
        font=[font("system-ui"), font("sans-serif")],
        font_mono=[font("ui-monospace"), font("monospace")],
    )
