"""The stacked autoencoder: Bengio et al. 2007; of denoising layers Vincent et al. 2010."""

from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ganlab.config.types import NonNegativeFloat, NonNegativeInt, OpenFraction
from ganlab.errors import ConfigError
from ganlab.models.base import Measurements
from ganlab.models.contractive_ae import Contraction
from ganlab.models.denoising_ae import Denoising
from ganlab.models.evaluating import evaluating
from ganlab.models.phased import PhasedAutoencoder
from ganlab.models.regularisers import Regulariser
from ganlab.models.sparse_ae import Sparsity
from ganlab.networks.activations import initialise_linear
from ganlab.networks.stack import StackedLayer, upwards
from ganlab.objectives.reconstruction import bernoulli_loss, squared_error


class StackedAE(PhasedAutoencoder):
    """Each layer learns, as an autoencoder of the kind `layer`, the clean codes of the layers below it.

    The first one's reconstruction is the model's own (squared errors where that is a Gaussian likelihood); a higher
    one's are squared errors of codes, and cross-entropies where codes are sigmoids and `reconstruction` is bernoulli.
    A layer's decoder ends in the activation of the layer below, so that the layers put together are the autoencoder.

    Then, as `fine_tune` says: "reconstruct" trains the whole autoencoder, without the layers' corruption or price
    (phase `autoencoder`); "classify" puts a linear softmax classifier on the code and trains it and the encoder on
    labelled samples, "classify_frozen" the classifier alone (phase `classifier`). Pretraining sees all samples. Where a
    classifier is trained the decoder stays as pretraining left it, but for weights that it shares (`tied`).
    """

    def __init__(
        self,
        *,
        layer: Literal["ae", "sparse_ae", "denoising_ae", "contractive_ae"] = "ae",
        fine_tune: Literal["reconstruct", "classify", "classify_frozen"] = "reconstruct",
        num_classes: NonNegativeInt = 0,
        corruption: Literal["masking", "gaussian", "salt_and_pepper"] = "masking",
        corruption_level: NonNegativeFloat = 0.25,
        penalty: Literal["kl", "l1"] = "kl",
        sparsity_weight: NonNegativeFloat = 0.1,
        rho: OpenFraction = 0.05,
        contraction: NonNegativeFloat = 0.1,
        **common: Any,
    ) -> None:
        # A classifier may stand on a wide code, as in the papers; what is to be given back may not.
        self.undercomplete = layer == "ae" and fine_tune == "reconstruct"
        super().__init__(**common)
        self.layer, self.penalty, self.corruption = layer, penalty, corruption
        self.sigmoid_codes = isinstance(self.autoencoder.encoder.activation, nn.Sigmoid)
        self._refuse_layers_that_do_not_fit()

        def regulariser(codes: int) -> Regulariser:
            if layer == "sparse_ae":
                return Sparsity(codes, penalty, sparsity_weight, rho, running_decay=0.0)
            if layer == "denoising_ae":
                return Denoising(corruption, corruption_level)
            return Contraction(contraction, "auto", probes=1) if layer == "contractive_ae" else Regulariser()

        self.regularisers = nn.ModuleList(regulariser(stacked.sizes[1]) for stacked in self.layers)
        self.fine_tune = fine_tune
        if fine_tune != "reconstruct":
            self._add_classifier(num_classes)

    def _add_classifier(self, num_classes: int) -> None:
        if num_classes < 2:
            raise ConfigError(
                f"model.fine_tune={self.fine_tune}: the data has no classes (model.num_classes={num_classes}); choose "
                "labelled data (data=digits, mnist, ring, …) or model.fine_tune=reconstruct"
            )
        self.classifies = self.learns_labels = True
        self.last_phase = "classifier"
        self.classifier = nn.Linear(self.latent_dim, num_classes)
        initialise_linear(self.classifier, "linear")

    def network(self, name: str) -> nn.Module:
        if name in self.layer_names:
            return self.layers[self.layer_names.index(name)]
        if name == "classifier" and self.fine_tune == "classify":
            return nn.ModuleList([self.autoencoder.encoder, self.classifier])
        return super().network(name)

    # -- pretraining --------------------------------------------------------------------------------------------

    def layer_loss(self, index: int, values: Tensor) -> tuple[Tensor, Measurements]:
        layer: StackedLayer = self.layers[index]
        regulariser: Any = self.regularisers[index]
        targets = upwards([below.encoder for below in self.layers[:index]], values)
        inputs = regulariser.corrupted(targets, self.draw_shared)
        codes = layer.encoder(inputs)
        outputs = layer.decoder(codes)
        reconstruction = self.layer_reconstructions(index, outputs, targets).mean()
        terms = regulariser.terms(layer.encoder, layer.encoder, inputs, codes, self.draw_shared)
        loss = sum(terms.values(), reconstruction)
        measured = {"loss/autoencoder": loss.detach()}
        if self.measuring:
            with torch.no_grad():
                made = self.made_by(index, outputs)
                measured["loss/reconstruction"] = reconstruction.detach()
                measured["reconstruction/mse"] = squared_error(made, targets).mean() / targets.shape[1]
                measured |= {tag: term.detach() for tag, term in terms.items()} | regulariser.describe(codes)
        return loss, measured

    def layer_reconstructions(self, index: int, outputs: Tensor, targets: Tensor) -> Tensor:
        """The reconstruction of each sample's inputs of a layer (from 0), [n], of its decoder's raw outputs."""
        if index == 0 and self.reconstruction != "gaussian":
            return self.reconstruction_losses(outputs, targets)
        if index > 0 and self.reconstruction == "bernoulli" and self.sigmoid_codes:
            return bernoulli_loss(outputs, targets)
        return squared_error(self.made_by(index, outputs), targets)

    def made_by(self, index: int, outputs: Tensor) -> Tensor:
        """What a layer gives back of its inputs."""
        return self.squash(outputs) if index == 0 else self.layers[index].output(outputs)

    def _refuse_layers_that_do_not_fit(self) -> None:
        if self.layer == "sparse_ae" and self.penalty == "kl" and not all(map(_ends_in_sigmoid, self.layers)):
            raise ConfigError(
                "model.penalty=kl: it is on activations between 0 and 1, of every layer; set "
                "model.encoder.activation=sigmoid model.encoder.code_activation=sigmoid, or model.penalty=l1"
            )
        values_in_range = self.of_images and (self.sigmoid_codes or len(self.layers) == 1)
        if self.layer == "denoising_ae" and self.corruption == "salt_and_pepper" and not values_in_range:
            raise ConfigError(
                "model.corruption=salt_and_pepper: it sets values to 0 or 1, and the layers' inputs go beyond; "
                "set model.encoder.activation=sigmoid (and take images), or model.corruption=masking or gaussian"
            )

    # -- the classifier -----------------------------------------------------------------------------------------

    def _parts(self, batch: Any) -> list[tuple[Tensor, Tensor | None]]:
        """Samples and conditions; in the classifier's phase labelled samples and their classes."""
        if self.trained_network != "classifier":
            return super()._parts(batch)
        samples, labels, _ = batch.labelled
        return list(zip(samples.chunk(self.accumulate), labels.chunk(self.accumulate), strict=True))

    def loss_of(self, network: str, values: Tensor, condition: Tensor | None) -> tuple[Tensor, Measurements]:
        if network != "classifier":
            return super().loss_of(network, values, condition)
        assert condition is not None
        with torch.set_grad_enabled(self.fine_tune == "classify"):
            codes = self.autoencoder.encoder(values)
        logits = self.classifier(codes)
        loss = cross_entropy(logits, condition)
        measured = {"loss/supervised": loss.detach()}
        if self.measuring:
            measured["accuracy/labelled"] = (logits.detach().argmax(1) == condition).float().mean()
        return loss, measured

    @torch.no_grad()
    def classify(self, samples: Tensor) -> Tensor:
        """Logits [n, num_classes] of samples [n, *sample_shape]."""
        if not self.classifies:
            return super().classify(samples)
        with evaluating(self.autoencoder):
            return self.classifier(self.autoencoder.encoder(self.values_of(samples.to(self.dtype))))


def _ends_in_sigmoid(layer: StackedLayer) -> bool:
    return isinstance(layer.encoder.code_activation, nn.Sigmoid)
