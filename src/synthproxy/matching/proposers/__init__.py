"""Networks that draw presets which may have made a sound, for a match to begin with."""
