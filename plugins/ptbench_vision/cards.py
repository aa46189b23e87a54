"""What the model cards of timm say of cost: millions of parameters, GMACs, millions of activations.

Read from the cards at ``https://huggingface.co/timm/NAME`` (section "Model Stats"), at the training size
where a card names two. Cards written while timm's attention was fused and fvcore did not see it leave
attention out, and so are left out here: that of ``vit_base_patch16_224.augreg2_in21k_ft_in1k`` says 16.9
GMACs, where timm's own table, and any count with attention, says 17.6; another is that of
``tiny_vit_21m_384.dist_in22k_ft_in1k``.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Card:
    """The figures of one model card, as printed."""

    name: str
    size: int
    """Pixels on a side of the image."""
    parameters: float
    """In millions."""
    gmacs: float
    activations: float
    """In millions."""


CARDS = (
    Card("resnet50.a1_in1k", 224, 25.6, 4.1, 11.1),
    Card("regnety_002.pycls_in1k", 224, 3.2, 0.2, 2.2),
    Card("densenet121.ra_in1k", 224, 8.0, 2.9, 6.9),
    Card("dpn107.mx_in1k", 224, 86.9, 18.4, 33.5),
    Card("inception_resnet_v2.tf_in1k", 299, 55.8, 13.2, 25.1),
    Card("nasnetalarge.tf_in1k", 331, 88.8, 23.9, 90.6),
    Card("cspdarknet53.ra_in1k", 256, 27.6, 6.6, 16.8),
    Card("selecsls42b.in1k", 224, 32.5, 3.0, 4.6),
    Card("fbnetc_100.rmsp_in1k", 224, 5.6, 0.4, 6.5),
    Card("tf_efficientnet_b7.ns_jft_in1k", 600, 66.3, 38.3, 289.9),
    Card("tf_efficientnetv2_b3.in21k_ft_in1k", 240, 14.4, 1.9, 10.0),
    Card("tf_efficientnetv2_s.in21k", 300, 48.2, 5.4, 22.8),
    Card("dm_nfnet_f0.dm_in1k", 192, 71.5, 7.2, 10.2),
    Card("convnext_tiny.fb_in1k", 224, 28.6, 4.5, 13.4),
    Card("convnext_tiny.fb_in22k", 224, 44.6, 4.5, 13.5),
    Card("convnextv2_atto.fcmae_ft_in1k", 224, 3.7, 0.6, 3.8),
    Card("efficientformerv2_s0.snap_dist_in1k", 224, 3.6, 0.4, 5.3),
    Card("mobilevitv2_050.cvnets_in1k", 256, 1.4, 0.5, 8.0),
    Card("beit_base_patch16_224.in22k_ft_in22k_in1k", 224, 86.5, 17.6, 23.9),
    Card("beitv2_base_patch16_224.in1k_ft_in22k", 224, 102.6, 17.6, 23.9),
    Card("deit3_base_patch16_224.fb_in22k_ft_in1k", 224, 86.6, 17.6, 23.9),
    Card("eva_large_patch14_196.in22k_ft_in22k_in1k", 196, 304.1, 61.6, 63.5),
    Card("vit_betwixt_patch16_rope_reg4_gap_256.sbb_in1k", 256, 60.2, 16.5, 28.2),
    Card("vit_small_plus_patch16_dinov3.lvd1689m", 256, 28.7, 8.1, 21.8),
    Card("swin_base_patch4_window7_224.ms_in22k_ft_in1k", 224, 87.8, 15.5, 36.6),
    Card("twins_svt_large.in1k", 224, 99.3, 15.1, 35.1),
    Card("davit_small.msft_in1k", 224, 49.7, 8.8, 30.5),
    Card("convit_base.fb_in1k", 224, 86.5, 17.5, 31.8),
    Card("pit_b_224.in1k", 224, 73.8, 12.4, 32.9),
    Card("xcit_large_24_p8_224.fb_in1k", 224, 188.9, 141.2, 181.6),
)
