"""AffectNet, of either of its two releases."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from raysweep.data.listing import Listing

from . import affectnet_csv, affectnet_npy
from .affectnet_codes import TITLE
from .reader import Reader, wrong_release

LAYOUT = """\
Manually_Annotated_file_lists/{training,validation}.csv
Manually_Annotated_Images/<number>/<name>.jpg
or
{train_set,val_set}/images/<id>.jpg
{train_set,val_set}/annotations/<id>_{exp,val,aro,lnd}.npy"""


def read_affectnet(root: Path, options: Mapping[str, str]) -> Listing:
    """AffectNet of either release. Raises UserError: neither is there, or one is incomplete."""
    if affectnet_csv.fits(root):
        return affectnet_csv.read(root, options)
    if affectnet_npy.fits(root):
        return affectnet_npy.read(root, options)
    raise wrong_release(root, TITLE, f"{affectnet_csv.LISTS}/, or train_set/ and val_set/")


READER = Reader(
    title="AffectNet (CSV release, or the newer one with .npy annotations)",
    layout=LAYOUT,
    read=read_affectnet,
    fits=lambda root: affectnet_csv.fits(root) or affectnet_npy.fits(root),
    options={"classes": ("8", "7"), "none": ("drop", "keep")},
)
