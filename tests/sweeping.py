"""What tests of sweeps type, and where the callbacks lie that they provoke things with."""

from pathlib import Path

TINY = [
    "model=gan",
    "data=ring",
    "model.generator.width=4",
    "model.discriminator.width=4",
    "trainer.max_iterations=2",
    "trainer.sample_every=null",
    "trainer.progress=false",
    "logger=csv",
]
SCORED = ["metrics.count=50", "metrics.monitor=w2", "data.test_count=100"]
HELPERS = Path(__file__).parent / "tasks"
