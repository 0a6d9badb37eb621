"""Ships to the sites as an image: the scorer. It answers while the link to Azure is cut, and forgets nothing that it answered."""
