"""The networks as a service, for flowgraphs.

In: requests with pixels (`phy.net.messages`). Out: answers.
Imports: `privsc.system` and what it stands on.
"""
