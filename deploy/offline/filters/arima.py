"""DeepLabCut's ARIMA filter: each coordinate follows an ARMA process; the filtered value is its
one-step-ahead prediction. It trails the animal by its nature; `kalman` does not. Needs statsmodels."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt

from acquisition.errors import RigposeError
from acquisition.progress import Progress

Floats = npt.NDArray[np.float64]
LEAST_POINTS = 11  # fewer are not fitted, as in DeepLabCut


def one_step_predictions(points: Floats, order: tuple[int, int]) -> Floats:
    """Predictions of an ARMA process about each coordinate's median, fitted by maximum likelihood.

    DeepLabCut fits about zero, so that across a gap its points run to the corner of the image. The
    first measured point is kept, as there: nothing predicts it.

    Parameters
    ----------
    points:
        float64 (T, K, D) on consecutive frames, NaN where there is none.
    order:
        Of the autoregression and of the moving average; DeepLabCut's are 3 and 1.

    Returns
    -------
    float64 (T, K, D); NaN throughout where fewer than eleven points were measured.

    Raises
    ------
    RigposeError
        Where statsmodels is not installed.
    """
    model = _statsmodels()
    result = np.full(points.shape, np.nan)
    with Progress("arima", total=points.shape[1] * points.shape[2]) as bar:
        for keypoint in range(points.shape[1]):
            for axis in range(points.shape[2]):
                result[:, keypoint, axis] = _series(model, points[:, keypoint, axis], order)
                bar.advance()
    return result


def _series(model: Any, values: Floats, order: tuple[int, int]) -> Floats:
    there = np.isfinite(values)
    if there.sum() < LEAST_POINTS:
        return np.full(len(values), np.nan)
    middle = float(np.median(values[there]))
    if np.ptp(values[there]) == 0:
        return np.full(len(values), middle)
    arma = (order[0], 0, order[1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # starting values that are not stationary: mended while fitting
        try:
            fitted = model(values - middle, order=arma).fit(disp=False)
        except np.linalg.LinAlgError:  # hardly stationary at all
            free = {"enforce_stationarity": False, "enforce_invertibility": False}
            fitted = model(values - middle, order=arma, **free).fit(disp=False)
    predicted: Floats = np.asarray(fitted.get_prediction().predicted_mean, np.float64) + middle
    first = int(np.flatnonzero(there)[0])
    predicted[:first] = np.nan
    predicted[first] = values[first]
    return predicted


def _statsmodels() -> Any:
    try:
        from statsmodels.tsa.statespace.sarimax import SARIMAX
    except ModuleNotFoundError as error:
        raise RigposeError(
            "the arima filter", expected="statsmodels", found=str(error),
            remedy="pip install 'rigpose[arima]', or filter with --kind kalman",
        ) from None  # fmt: skip
    return SARIMAX
