// SPDX-License-Identifier: Apache-2.0

// Reads trees and notes of evlog with the packages that Go's checksum database is read with.
//
// usage: sumdb tree TILES CHECKPOINT KEYS [OLD-CHECKPOINT], or sumdb proof PROOF KEYS ENTRY
//
// tree: leaves, read through tiles, are in the signed tree, all of them or some 4,096; with an old checkpoint, that tree
// is its beginning. proof: the entry is where the proof says, in the tree that it says.
//
// KEYS holds a line for each key: the verifier key of an Ed25519 key, or "NAME ecdsa BASE64", the DER of its
// SubjectPublicKeyInfo. A note needs a line of each. Exit: 0 and the root, 1 and the reason.
package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// ecdsaKey is a note.Verifier of signature type 2.
type ecdsaKey struct {
	name string
	hash uint32
	key  *ecdsa.PublicKey
}

func (k ecdsaKey) Name() string    { return k.name }
func (k ecdsaKey) KeyHash() uint32 { return k.hash }
func (k ecdsaKey) Verify(msg, sig []byte) bool {
	digest := sha256.Sum256(msg)
	return ecdsa.VerifyASN1(k.key, digest[:], sig)
}

func readKeys(path string) ([]note.Verifier, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var keys []note.Verifier
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		if len(words) == 1 {
			key, err := note.NewVerifier(words[0])
			if err != nil {
				return nil, err
			}
			keys = append(keys, key)
			continue
		}
		der, err := base64.StdEncoding.DecodeString(words[2])
		if err != nil {
			return nil, err
		}
		key, err := x509.ParsePKIXPublicKey(der)
		if err != nil {
			return nil, err
		}
		digest := sha256.Sum256(der)
		keys = append(keys, ecdsaKey{words[0], binary.BigEndian.Uint32(digest[:]), key.(*ecdsa.PublicKey)})
	}
	return keys, nil
}

func openCheckpoint(text []byte, keys []note.Verifier) (tlog.Tree, error) {
	var tree tlog.Tree
	opened, err := note.Open(text, note.VerifierList(keys...))
	if err != nil {
		return tree, err
	}
	if len(opened.Sigs) != len(keys) {
		return tree, fmt.Errorf("%d of %d keys signed", len(opened.Sigs), len(keys))
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 {
		return tree, errors.New("not three lines")
	}
	if tree.N, err = strconv.ParseInt(lines[1], 10, 64); err != nil {
		return tree, err
	}
	tree.Hash, err = tlog.ParseHash(lines[2])
	return tree, err
}

// tiles reads a directory.
type tiles struct{ folder string }

func (t tiles) Height() int                     { return 8 }
func (t tiles) SaveTiles([]tlog.Tile, [][]byte) {}
func (t tiles) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	data := make([][]byte, len(wanted))
	for i, tile := range wanted {
		path := strings.Replace(tile.Path(), "tile/8/", "tile/", 1)
		content, err := os.ReadFile(filepath.Join(t.folder, path))
		if err != nil {
			return nil, err
		}
		if len(content) != tile.W*tlog.HashSize {
			return nil, fmt.Errorf("%s has %d bytes", path, len(content))
		}
		data[i] = content
	}
	return data, nil
}

func checkTree(args []string) (string, error) {
	keys, err := readKeys(args[2])
	if err != nil {
		return "", err
	}
	text, err := os.ReadFile(args[1])
	if err != nil {
		return "", err
	}
	tree, err := openCheckpoint(text, keys)
	if err != nil {
		return "", err
	}
	reader := tlog.TileHashReader(tree, tiles{args[0]})
	for i := int64(0); i < tree.N; i += 1 + tree.N/4096 {
		leaves, err := reader.ReadHashes([]int64{tlog.StoredHashIndex(0, i)})
		if err != nil {
			return "", fmt.Errorf("leaf %d: %w", i, err)
		}
		proof, err := tlog.ProveRecord(tree.N, i, reader)
		if err != nil {
			return "", fmt.Errorf("leaf %d: %w", i, err)
		}
		if err := tlog.CheckRecord(proof, tree.N, tree.Hash, i, leaves[0]); err != nil {
			return "", fmt.Errorf("leaf %d: %w", i, err)
		}
	}
	if len(args) == 4 {
		if text, err = os.ReadFile(args[3]); err != nil {
			return "", err
		}
		old, err := openCheckpoint(text, keys)
		if err != nil {
			return "", err
		}
		proof, err := tlog.ProveTree(tree.N, old.N, reader)
		if err != nil {
			return "", err
		}
		if err := tlog.CheckTree(proof, tree.N, tree.Hash, old.N, old.Hash); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%d %v", tree.N, tree.Hash), nil
}

func checkProof(args []string) (string, error) {
	text, err := os.ReadFile(args[0])
	if err != nil {
		return "", err
	}
	entry, err := os.ReadFile(args[2])
	if err != nil {
		return "", err
	}
	keys, err := readKeys(args[1])
	if err != nil {
		return "", err
	}
	head, checkpoint, _ := bytes.Cut(text, []byte("\n\n"))
	lines := strings.Split(string(head), "\n")
	if len(lines) < 2 || lines[0] != "c2sp.org/tlog-proof@v1" {
		return "", errors.New("no proof")
	}
	if strings.HasPrefix(lines[1], "extra ") {
		lines = lines[1:]
	}
	word, number, _ := strings.Cut(lines[1], " ")
	index, err := strconv.ParseInt(number, 10, 64)
	if word != "index" || err != nil {
		return "", errors.New("no index")
	}
	var proof tlog.RecordProof
	for _, line := range lines[2:] {
		hash, err := tlog.ParseHash(line)
		if err != nil {
			return "", err
		}
		proof = append(proof, hash)
	}
	tree, err := openCheckpoint(checkpoint, keys)
	if err != nil {
		return "", err
	}
	return tree.Hash.String(), tlog.CheckRecord(proof, tree.N, tree.Hash, index, tlog.RecordHash(entry))
}

func main() {
	var root string
	err := errors.New("usage: sumdb tree TILES CHECKPOINT KEYS [OLD-CHECKPOINT] | proof PROOF KEYS ENTRY")
	switch args := os.Args[1:]; {
	case (len(args) == 4 || len(args) == 5) && args[0] == "tree":
		root, err = checkTree(args[1:])
	case len(args) == 4 && args[0] == "proof":
		root, err = checkProof(args[1:])
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(root)
}
