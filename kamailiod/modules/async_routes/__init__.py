"""Requests that go on later: the modparams of module async, and what is pending."""
