"""Wasserstein GAN with gradient penalty, Gulrajani et al. 2017."""

from ganlab.models.wgan import WassersteinModel


class WGANGP(WassersteinModel):
    """Algorithm 1: where a critic is best, its gradient between real and generated samples has norm 1, so
    other norms cost. The penalty is an option of every family; `conf/model/wgan_gp.yaml` sets it to the paper's."""
