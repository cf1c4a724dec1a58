"""All claims by name: what the literature says, and where. Nothing here loads torch, so that a list is quick."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Claim:
    """A claim of the literature; `ganlab.claims.<name>` holds the experiment: `investigate(lab) -> Finding`."""

    name: str
    statement: str
    source: str


_CLAIMS = (
    Claim(
        "optimal_discriminator",
        "Against a fixed generator the best discriminator is p_data / (p_data + p_generator); as training goes on both "
        "its losses go to log 2 and its accuracy to 1/2.",
        "Goodfellow et al. 2014, proposition 1 and theorem 1",
    ),
    Claim(
        "generator_gradients",
        "As the discriminator gets better, the gradient of the saturating generator loss vanishes, and that of the "
        "non-saturating one grows and gets unstable.",
        "Arjovsky & Bottou 2017, theorems 2.4 and 2.6, figures 2 and 3",
    ),
    Claim(
        "disjoint_supports",
        "Between distributions on parallel lines the Jensen-Shannon divergence is log 2 at any distance, and the "
        "Wasserstein distance is the distance: only its critic says which way to go.",
        "Arjovsky et al. 2017, example 1 and figure 1",
    ),
    Claim(
        "mode_hopping",
        "A generator can hop from mode to mode of a ring and never cover all; a discriminator that keeps up, noise on "
        "what it sees, less momentum and an average of the weights cure it.",
        "Metz et al. 2017, figure 2; Goodfellow 2016, section 5.1.1",
    ),
    Claim(
        "wasserstein_follows_quality",
        "The critic's estimate of the Wasserstein distance falls as the samples get better; the loss of a GAN's "
        "generator does not.",
        "Arjovsky et al. 2017, figures 3 and 4",
    ),
    Claim(
        "clipping_pushes_weights",
        "Weight clipping pushes the critic's weights to the two ends of the allowed range; the gradient penalty does "
        "not.",
        "Gulrajani et al. 2017, section 3 and figure 1b",
    ),
    Claim(
        "instance_noise",
        "Noise on what the discriminator sees brings gradients back where the supports do not overlap.",
        "Arjovsky & Bottou 2017, section 3; Sønderby et al. 2017, section 3",
    ),
    Claim(
        "balanced_updates",
        "Training whichever network has the larger loss keeps both losses near each other.",
        "the PaddlePaddle GAN tutorial",
    ),
    Claim(
        "f_divergences_fit",
        "Each f-divergence fits a Gaussian to a mixture in its own way: forward KL covers the modes, reverse KL seeks "
        "one; and each is best at its own divergence.",
        "Nowozin et al. 2016, section 2.5, table 3 and figure 1",
    ),
    Claim(
        "linear_ae_is_pca",
        "A linear autoencoder with squared error learns the subspace of the principal components.",
        "Baldi & Hornik 1989, fact 4",
    ),
    Claim(
        "code_size",
        "At a small code a deep autoencoder reconstructs better than PCA; a linear one never does.",
        "Hinton & Salakhutdinov 2006, figure 2 and figure S2",
    ),
    Claim(
        "denoising_field",
        "A denoising autoencoder points from a noisy point back to the manifold: r(x) - x is σ² times the score.",
        "Vincent et al. 2008, figure 2; Alain & Bengio 2014, theorem 1",
    ),
    Claim(
        "contraction",
        "The contractive penalty lets codes vary along the manifold alone: the Jacobian's norm falls, and few of its "
        "singular values stay large.",
        "Rifai et al. 2011, sections 5.2 and 5.3, figures 1 to 3",
    ),
    Claim(
        "sparsity",
        "The sparsity penalty brings each unit's mean activation to its target, and units become detectors of strokes.",
        "Ng 2011, section 3",
    ),
    Claim(
        "rbm_pretraining",
        "A deep autoencoder that begins at the weights of RBMs trains; one that begins at random hardly does.",
        "Hinton & Salakhutdinov 2006, and its figure S1",
    ),
    Claim(
        "beta_vae_tradeoff",
        "A larger β buys a smaller KL term with a worse reconstruction.",
        "Higgins et al. 2017, section 4.2; Alemi et al. 2018, figure 1",
    ),
    Claim(
        "vae_blur",
        "Samples of a VAE are blurrier than real images and than a GAN's.",
        "Larsen et al. 2016, section 4.1; Dosovitskiy & Brox 2016, section 1",
    ),
    Claim(
        "vae_without_kl",
        "Without its KL term a VAE is a plain autoencoder: the noise of its codes vanishes, reconstruction gets "
        "better, and samples from the prior get worse.",
        "Kingma & Welling 2013, section 2.3",
    ),
)
CLAIMS = {claim.name: claim for claim in _CLAIMS}
