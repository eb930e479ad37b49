"""Errors and warnings that the library raises."""

from sklearn.exceptions import ConvergenceWarning

__all__ = [
    "ChangedParameterError",
    "DataWarning",
    "DeviceMemoryWarning",
    "ForgetError",
    "ForgetFallbackWarning",
    "KnownInteractionError",
    "NotConvergedWarning",
    "NotFiniteError",
    "SlowFitWarning",
    "TooLargeError",
    "UnknownInteractionError",
]


class UnknownInteractionError(ValueError, KeyError):
    """A request names interactions, users or items that the model never learned from.

    It is a ``ValueError`` because an argument is wrong, and a ``KeyError`` because a lookup failed;
    catch either. Pass ``missing="ignore"`` to ``forget`` where deletion requests may arrive twice.

    Examples
    --------
    >>> from sklearn_unlearn.exceptions import UnknownInteractionError
    >>> print(UnknownInteractionError("pair (0, 3) was never trained on"))
    pair (0, 3) was never trained on
    """

    def __str__(self) -> str:
        # KeyError prints the repr of its argument, which would wrap the sentence in quotes.
        return Exception.__str__(self)


class KnownInteractionError(ValueError):
    """A request to learn holds interactions that the model has learned already.

    Pass ``existing="replace"`` to ``learn`` where interactions may arrive twice.

    Examples
    --------
    >>> from sklearn_unlearn.exceptions import KnownInteractionError
    >>> issubclass(KnownInteractionError, ValueError)
    True
    """


class ChangedParameterError(ValueError):
    """A parameter on which the fitted state rests was changed after `fit`, and a verb needs both.

    The number of factors, for one, is the width of the fitted tables. A request that raises it
    leaves the model as it was.

    Examples
    --------
    >>> from sklearn_unlearn import ItemKNN
    >>> model = ItemKNN(2).fit([[1, 1, 0], [0, 1, 1], [1, 0, 1]])
    >>> model.set_params(n_neighbors=1).forget(users=[0])
    Traceback (most recent call last):
    ...
    sklearn_unlearn.exceptions.ChangedParameterError: n_neighbors of ItemKNN is 1; expected 2, ...
    """


class NotFiniteError(ValueError, FloatingPointError):
    """A model, or a score, came out as NaN or infinity: X holds too large or too small numbers.

    A fit or a request that raises it leaves the model as it was.

    Examples
    --------
    >>> from sklearn_unlearn.exceptions import NotFiniteError
    >>> issubclass(NotFiniteError, ValueError)
    True
    """


class TooLargeError(ValueError, MemoryError):
    """A model of this shape needs more memory than the machine has.

    It is raised before anything is allocated, and says what to use instead.

    Examples
    --------
    >>> from sklearn_unlearn.exceptions import TooLargeError
    >>> issubclass(TooLargeError, ValueError), issubclass(TooLargeError, MemoryError)
    (True, True)
    """


class ForgetError(RuntimeError):
    """A request did not reach its tolerance, and the caller asked for an error.

    The model is as it was before the request.

    Examples
    --------
    >>> from sklearn_unlearn.exceptions import ForgetError
    >>> issubclass(ForgetError, RuntimeError)
    True
    """


class DataWarning(UserWarning):
    """Data that can be used as they are, but hardly mean what the caller takes them for.

    Likes without dislikes passed to a model of both, a table of events passed as a matrix, users to
    recommend to of whom nothing is known, or a score that is the mean over few of the test users.

    Examples
    --------
    >>> from sklearn_unlearn.exceptions import DataWarning
    >>> issubclass(DataWarning, UserWarning)
    True
    """


class SlowFitWarning(UserWarning):
    """A fit begins that will take long, for a reason that a parameter can change.

    Examples
    --------
    >>> from sklearn_unlearn.exceptions import SlowFitWarning
    >>> issubclass(SlowFitWarning, UserWarning)
    True
    """


class NotConvergedWarning(ConvergenceWarning):
    """An optimizer or a forget request stopped before it met its tolerance.

    Examples
    --------
    >>> from sklearn.exceptions import ConvergenceWarning
    >>> from sklearn_unlearn.exceptions import NotConvergedWarning
    >>> issubclass(NotConvergedWarning, ConvergenceWarning)
    True
    """


class ForgetFallbackWarning(NotConvergedWarning):
    """A request was answered by a refit, as its strategy did not reach the tolerance.

    It took as long as a fit, and the model is what a fit of the data after the request gives:
    compare it with the one before, and serve it then.

    Examples
    --------
    >>> from sklearn_unlearn.exceptions import ForgetFallbackWarning, NotConvergedWarning
    >>> issubclass(ForgetFallbackWarning, NotConvergedWarning)
    True
    """


class DeviceMemoryWarning(RuntimeWarning):
    """The memory of a device did not suffice, so the CPU did the work.

    The result is the same; it took longer.

    Examples
    --------
    >>> from sklearn_unlearn.exceptions import DeviceMemoryWarning
    >>> issubclass(DeviceMemoryWarning, RuntimeWarning)
    True
    """
