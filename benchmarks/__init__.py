"""How fast gradline is, as ratios to what cannot be avoided and to what else could be used."""
