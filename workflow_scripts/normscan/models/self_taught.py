"""Self-taught segmentation: a U-Net that learns what an unsupervised approach detects.

Source: Baur et al. 2019, "Fusing unsupervised and supervised deep learning for white matter lesion
segmentation", as summed up in the thesis (Baur 2021, section 3.5): the detections of an
unsupervised approach in scans without annotation are the labels ("pseudo-labels") of a supervised
segmentation network, which ends up better than its teacher.

Any approach of the protocol may teach; the protocol names it with the threshold rule
(``labels``). Scans are those of the stream ``unlabelled``; its true labels are never read, and
early stopping goes by pseudo-labels of its validation scans. The thesis gives neither the loss
(here soft Dice and cross entropy, as usual of U-Nets in the field), nor the optimiser's settings
(here those of the semi-supervised FCN, :mod:`normscan.models.semi_fcn`). Scans in which the teacher
found nothing are kept: they show what is normal.
"""

from __future__ import annotations

from normscan.models.parts.labelled import Taught

TITLE = "self-taught U-Net"
CITE = {
    "baur2019": "Baur C, Wiestler B, Albarqouni S, Navab N. Fusing unsupervised and "
    "supervised deep learning for white matter lesion segmentation. Proceedings of Machine "
    "Learning Research 102 (MIDL), 63-72, 2019. https://proceedings.mlr.press/v102/baur19a.html"
}
LOOK = "supervised"
COST = 12.0
CAPABILITIES = {"segment"}
PARTS = {"image_to_image"}
STREAMS = ("unlabelled",)
LAYERS = {"unlabelled": {"pseudo"}}
SETTINGS = {
    "network": "unet",
    "depth": 4,
    "width": 32,
    "cross_entropy_weight": 1.0,
    "learning_rate": 1e-4,
    "batch_size": 32,
    "max_epochs": 1000,
    "patience": 5,
    "precision": "auto",
}
ALLOWED = {
    "depth": "1..",
    "width": "1..",
    "cross_entropy_weight": "0..",
    "learning_rate": ">0..",
    "batch_size": "1..",
    "max_epochs": "1..",
    "patience": "1..",
    "precision": ["auto", "float32", "bfloat16", "float16"],
}
MEANING = {
    "cross_entropy_weight": "weight of the cross entropy; the Dice's is 1",
}
# For tests of all families.
CHECKED_WITH = {"depth": 2, "width": 4, "learning_rate": 1e-2, "max_epochs": 25}

Model = Taught
