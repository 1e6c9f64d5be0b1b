"""The iWlz network's own forms over the common core: its token (RS256, with aggregated claims), its mandates, its errors."""
