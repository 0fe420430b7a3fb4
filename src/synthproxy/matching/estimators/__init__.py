"""Networks that tell the preset of a sound at one look, as published, and what they learn by: their losses and data."""
