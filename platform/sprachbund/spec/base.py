"""What the parts of an experiment file share: strictness, and lists where one value may stand."""

from typing import Annotated

from pydantic import AfterValidator

from sprachbund.catalogue import plugins

# A registered function's name stands for the function as it is now.
ScorerName = Annotated[str, AfterValidator(lambda name: plugins.full_name("scorer", name))]
MeasureName = Annotated[str, AfterValidator(lambda name: plugins.full_name("measure", name))]
