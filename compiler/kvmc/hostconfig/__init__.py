"""From a placement to what each host must be told: one owner and one carrier a knob."""
