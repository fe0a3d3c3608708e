"""Distillation methods, one file each, named by their papers."""

from __future__ import annotations

from mmkd_ext.methods._adversary import AdversarialLoss, Discriminator
from mmkd_ext.methods._base import PairLoss
from mmkd_ext.methods._skds_discriminator import SKDSDiscriminator
from mmkd_ext.methods.at import ATLoss
from mmkd_ext.methods.cirkd import (
    CIRKDChannelErrorLoss,
    CIRKDChannelLoss,
    CIRKDChannelMemoryLoss,
    CIRKDHeads,
    CIRKDMiniBatchLoss,
    CIRKDPixelMemoryLoss,
    CIRKDPool,
    CIRKDProjection,
    CIRKDRegionMemoryLoss,
)
from mmkd_ext.methods.cwd import CWDLoss
from mmkd_ext.methods.defeat import DeFeatAdapter, DeFeatHeadLoss, DeFeatLoss
from mmkd_ext.methods.dist import DISTLoss
from mmkd_ext.methods.dkd import DKDLoss, DKDPixelLoss
from mmkd_ext.methods.fgd import FGDLoss
from mmkd_ext.methods.fgfi import FGFILoss
from mmkd_ext.methods.fitnets import FitNetsLoss
from mmkd_ext.methods.ifvd import IFVDLoss
from mmkd_ext.methods.ka import (
    KAAdaptLoss,
    KAAffinityLoss,
    KAAutoEncoder,
    KAEncoder,
    KAReconstructionLoss,
)
from mmkd_ext.methods.kd import KDLoss
from mmkd_ext.methods.ld import (
    LDClassLoss,
    LDFineGrainedRegion,
    LDGIRegion,
    LDImitationLoss,
    LDInsideRegion,
    LDLoss,
    LDMainRegion,
    LDValuableRegion,
)
from mmkd_ext.methods.mgd import MGDConnector, MGDLoss
from mmkd_ext.methods.pkd import PKDLoss
from mmkd_ext.methods.reviewkd import ReviewKDFusion, ReviewKDLoss
from mmkd_ext.methods.skds import SKDSHolisticLoss, SKDSPairwiseLoss

__all__ = [
    'ATLoss',
    'AdversarialLoss',
    'CIRKDChannelErrorLoss',
    'CIRKDChannelLoss',
    'CIRKDChannelMemoryLoss',
    'CIRKDHeads',
    'CIRKDMiniBatchLoss',
    'CIRKDPixelMemoryLoss',
    'CIRKDPool',
    'CIRKDProjection',
    'CIRKDRegionMemoryLoss',
    'CWDLoss',
    'DISTLoss',
    'DKDLoss',
    'DKDPixelLoss',
    'DeFeatAdapter',
    'DeFeatHeadLoss',
    'DeFeatLoss',
    'Discriminator',
    'FGDLoss',
    'FGFILoss',
    'FitNetsLoss',
    'IFVDLoss',
    'KAAdaptLoss',
    'KAAffinityLoss',
    'KAAutoEncoder',
    'KAEncoder',
    'KAReconstructionLoss',
    'KDLoss',
    'LDClassLoss',
    'LDFineGrainedRegion',
    'LDGIRegion',
    'LDImitationLoss',
    'LDInsideRegion',
    'LDLoss',
    'LDMainRegion',
    'LDValuableRegion',
    'MGDConnector',
    'MGDLoss',
    'PKDLoss',
    'PairLoss',
    'ReviewKDFusion',
    'ReviewKDLoss',
    'SKDSDiscriminator',
    'SKDSHolisticLoss',
    'SKDSPairwiseLoss',
]
