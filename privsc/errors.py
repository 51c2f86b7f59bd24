"""One root for every error that a user of the models side can cause or mend.

The message names the thing, the limit and the value got, and says what to do; the command line prints it as one
line and leaves with exit code 2.
"""


class PrivscError(Exception):
    """Root of the errors of `privsc`."""


class Notice(UserWarning):
    """Something that goes on, but not as a user may expect; the command line prints it as one line on stderr."""


class ConfigError(PrivscError):
    """An option or a key of a configuration file has an impossible value."""


class PhotoError(PrivscError):
    """A photograph is missing, not an image, or of a size that cannot be used."""


class OutputError(PrivscError):
    """A result cannot be written where it was asked for."""


class DatabaseError(PrivscError):
    """The privacy database K is missing, foreign, damaged, or refuses a change."""


class EntityError(DatabaseError):
    """An entity is unknown to K, is there already, or is not well formed."""


class PayloadError(PrivscError):
    """(A, i) cannot be turned into bytes, or received bytes cannot be turned into (A, i)."""


class WeightsError(PrivscError):
    """A weight file is missing, truncated, or not the one that its manifest names."""


class FetchError(PrivscError):
    """Weights cannot be fetched: no network, another file than the one that was asked for, no space."""


class EnrolmentError(PrivscError):
    """Photographs cannot be turned into an entity of K."""


class RecoveryError(PrivscError):
    """The recovery module cannot work with what it was given."""


class WorkerError(PrivscError):
    """The worker of the flowgraphs cannot be started, or a request to it is not of its format."""


class ExperimentError(PrivscError):
    """An experiment file, or the place of its results, cannot be used; the message begins with the key's path."""
