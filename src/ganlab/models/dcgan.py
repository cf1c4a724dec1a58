"""Deep convolutional generative adversarial networks, Radford et al. 2015."""

from ganlab.models.gan import GAN


class DCGAN(GAN):
    """The non-saturating GAN with the architecture rules of the paper's section 3, which live in
    `ganlab.networks.dcgan`; its training details (section 4: Adam 2e-4 with β1 0.5, batch 128) are the
    defaults of `conf/model/dcgan.yaml`."""
