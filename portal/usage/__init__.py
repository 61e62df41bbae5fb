"""How much is used: measurements, daily snapshots, forecasts and reports."""
