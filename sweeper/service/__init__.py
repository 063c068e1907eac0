"""Sweeps over HTTP: an API and a page over the storage and a cluster's jobs. This process loads no torch.

What a sweep does is done by jobs on the cluster (`sweeper.jobs`); what is known of it is read from the storage, by
worker processes (`sweeper.service.reading`).
"""
