"""Global optimality and rank of factor models, one file a family of objectives."""

from sklearn_unlearn.certificates._base import Certifiable, Certificate
from sklearn_unlearn.certificates._losses import LossCertificate
from sklearn_unlearn.certificates._optimality import OptimalityCertificate, certify
from sklearn_unlearn.certificates._propagated import PropagatedCertificate
from sklearn_unlearn.certificates._weighted import WeightedCertificate

__all__ = [
    "Certifiable",
    "Certificate",
    "LossCertificate",
    "OptimalityCertificate",
    "PropagatedCertificate",
    "WeightedCertificate",
    "certify",
]
