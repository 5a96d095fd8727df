# SPDX-License-Identifier: Apache-2.0
# Targets of the test layers; included by the top Makefile.
