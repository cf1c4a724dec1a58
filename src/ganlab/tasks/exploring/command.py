"""From a run to its page."""

import socket
from dataclasses import dataclass

from ganlab.errors import ConfigError, DataError, GanlabError
from ganlab.models.base import GenerativeModel
from ganlab.tasks import console
from ganlab.tasks.devices import device_of
from ganlab.tasks.explore import ExploreOptions
from ganlab.tasks.exploring.explorer import Explorer
from ganlab.tasks.exploring.nearest import Nearest
from ganlab.tasks.exploring.serving import address_of, only_local, serve
from ganlab.tasks.exploring.views import Views
from ganlab.tasks.rows import Rows
from ganlab.tasks.trained import Saved, read_trained


@dataclass(frozen=True)
class Subject:
    """A model to explore, the samples it is shown beside (or why there are none), and what it is called."""

    explorer: Explorer
    views: Views
    title: str
    told: str


def explore_run(options: ExploreOptions, listener: socket.socket) -> None:
    """Load a run and serve its page on a listening socket, until Ctrl-C."""
    subject = subject_of(options)
    from ganlab.tasks.exploring.application import application

    app = application(subject.explorer, subject.views, subject.title, subject.told, only_local(listener))
    if not only_local(listener):
        console.warn(f"host={options.host}: whoever reaches this machine can use the page; it asks for no password")
    console.say(f"explore: {address_of(listener)}   (Ctrl-C ends it)")
    serve(app, listener)


def subject_of(options: ExploreOptions) -> Subject:
    """The run that was asked for; where its data set cannot be loaded, a line says so and a model with a prior goes on
    without."""
    saved = read_trained(options.run, options.checkpoint, trust=options.trust)
    model, train, test, why_not = _loaded(saved, options)
    names, num_classes = saved.condition_names, saved.settings["data"]["num_classes"]
    if not model.generates and test is None:
        why = why_not or "the test split is empty"
        raise DataError(f"run={options.run}: model={model.name} starts from real samples, and there are none: {why}")
    if why_not:
        console.warn(f"no training samples to compare with: {why_not}")
    explorer = Explorer(model, names, num_classes, train, test)
    nearest = None if train is None else Nearest(train, explorer.class_names)
    views = Views(explorer, nearest, f"No training samples to compare with. {why_not}")
    title = f"{saved.settings['model']['name']} on {saved.settings['data']['name']}"
    told = f"iteration {model.iteration:,} · {model.weights_sampled} weights · {console.relative(saved.folder)}"
    return Subject(explorer, views, title, told)


def _loaded(saved: Saved, options: ExploreOptions) -> tuple[GenerativeModel, Rows | None, Rows | None, str]:
    """The model, both splits, and why there are none."""
    try:
        run = saved.load(options.root, options.device)
        return run.model, Rows(run.data, "train"), _tested(run.data), ""
    except (ConfigError, DataError) as error:
        model = saved.restored().to(device_of(options.device)).eval()
        return model, None, None, str(error)


def _tested(data: object) -> Rows | None:
    """The test split, if anything is in it."""
    try:
        return Rows(data, "test")
    except GanlabError:
        return None
