from tests.training.labelling.browsers import browser  # noqa: F401
