"""Architecture search: spaces of networks, their evaluation by a GTN or on real data, search, ranking."""
