"""The program that brings a release to one site. Ships as an image; runs as a pod on the site's own cluster.

`canary`, `judge` and `finish` are the steps of a rollout, `roll-back` returns to the image before. Each is safe to run twice, after any
crash: what the cluster should hold is applied by server-side apply, and what was decided lies in a ConfigMap (`state`).
"""
