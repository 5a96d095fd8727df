/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: of what a server answers, only what an answer may say is believed.
 * Method: texts that are not XML, or XML that S3 never sends; answers that contradict themselves; every prefix of a
 * good answer; then good answers.
 */
#include "../../../client/store/objects/s3_xml.h"
#include "../../lib/test.h"

#include <evlog/error.h>
#include <stdio.h>

static char told[2048];

static bool tell(void *arg, const char *path, const char *text)
{
    size_t len = strlen(told);
    (void)arg;
    (void)snprintf(told + len, sizeof told - len, "%s=%s;", path, text);
    return true;
}

static int reads(const char *text)
{
    told[0] = '\0';
    return s3_xml_read(el_slice_str(text), tell, NULL);
}

TEST(s3_xml, refuses_what_is_not_well_formed)
{
    static const char *const bad[] = {"x",
                                      "<>",
                                      "</a>",
                                      "<a></b>",
                                      "<a></ab>",
                                      "<ab></a>",
                                      "<a></a",
                                      "<a><b></a></b>",
                                      "<a></a>x",
                                      "<a></a><b></b>",
                                      "x<a></a>",
                                      "<a>x<b></b></a>",
                                      "<a><b></b>x</a>",
                                      "< a></a>",
                                      "<a b></a>",
                                      "<a b=c></a>",
                                      "<a b=\"<\"></a>",
                                      "<a b=\"1\"c=\"2\"></a>",
                                      "<a>&nbsp;</a>",
                                      "<a>&</a>",
                                      "<a>&#;</a>",
                                      "<a>&#x;</a>",
                                      "<a>&#0;</a>",
                                      "<a>&#1;</a>",
                                      "<a>&#xd800;</a>",
                                      "<a>&#x110000;</a>",
                                      "<a>&#99999999999999999999;</a>",
                                      "<a>&#12a;</a>",
                                      "<a>\xff</a>",
                                      "<a>\xc0\x80</a>",
                                      "<a>\x01</a>",
                                      "<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>",
                                      "<a><!-- b --></a>",
                                      "<a><![CDATA[b]]></a>",
                                      "<a><?b c?></a>",
                                      "<?xml version=\"1.0\"><a></a>",
                                      "<a/ >",
                                      "<a / ></a>"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        int rc = reads(bad[i]);
        if (rc != EVLOG_ERR_MALFORMED && rc != EVLOG_ERR_TRUNCATED) {
            fail_msg("%s: %d", bad[i], rc);
        }
    }
}

TEST(s3_xml, refuses_what_is_too_deep_or_too_long)
{
    char text[6000];
    assert_int_equal(reads("<a><a><a><a><a><a><a><a></a></a></a></a></a></a></a></a>"), 0);
    assert_int_equal(reads("<a><a><a><a><a><a><a><a><a>"), EVLOG_ERR_LIMIT);
    (void)snprintf(text, sizeof text, "<a>%04096d</a>", 0);
    assert_int_equal(reads(text), 0);
    (void)snprintf(text, sizeof text, "<a>%04097d</a>", 0);
    assert_int_equal(reads(text), EVLOG_ERR_LIMIT);
    (void)snprintf(text, sizeof text, "<a%0300d></a>", 0);
    assert_int_equal(reads(text), EVLOG_ERR_LIMIT);
}

TEST(s3_xml, says_where_a_text_ends_too_early)
{
    static const char whole[] = "<?xml version=\"1.0\"?>\n<a x='1'> <b>c&amp;&#x41;\xc3\xa4</b><d /></a>";
    for (size_t len = 0; len < sizeof whole - 1; len++) {
        int rc = s3_xml_read(el_slice_of(whole, len), tell, NULL);
        assert_true(rc == EVLOG_ERR_TRUNCATED || rc == EVLOG_ERR_MALFORMED);
    }
    assert_int_equal(reads(whole), 0);
    assert_string_equal(told, "a/b=c&A\xc3\xa4;a/d=;a=;");
}

TEST(s3_xml, reads_references_and_names)
{
    assert_int_equal(reads("<l:a>&lt;&gt;&quot;&apos;&#228;&#xE4;</l:a>\n"), 0);
    assert_string_equal(told, "l:a=<>\"'\xc3\xa4\xc3\xa4;");
    assert_int_equal(reads("\xef\xbb\xbf <a/>"), 0);
    assert_string_equal(told, "a=;");
}

/* --- answers ------------------------------------------------------------------------------------------------------ */

static bool note_object(void *arg, const struct s3_xml_object *object)
{
    size_t len = strlen(told);
    (void)snprintf(told + len, sizeof told - len, "%s %llu %lld;", object->key, (unsigned long long)object->len,
                   (long long)object->modified_ms);
    return strlen(told) < *(size_t *)arg;
}

static int lists(const char *items, const char *truncated, bool *more)
{
    char text[2048];
    size_t max = sizeof told;
    told[0] = '\0';
    (void)snprintf(text, sizeof text,
                   "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">%s%s"
                   "</ListBucketResult>",
                   truncated, items);
    return s3_xml_list(el_slice_str(text), note_object, &max, more);
}

#define KEY "<Key>a/b</Key>"
#define SIZE "<Size>5</Size>"
#define TIME "<LastModified>2026-03-01T12:00:00.123Z</LastModified>"
#define ITEM(x) "<Contents>" x "</Contents>"
#define LAST "<IsTruncated>false</IsTruncated>"

TEST(s3_xml, believes_no_list_that_contradicts_itself)
{
    bool more;
    static const char *const bad[] = {ITEM(KEY SIZE),
                                      ITEM(KEY TIME),
                                      ITEM(SIZE TIME),
                                      ITEM(KEY SIZE TIME KEY),
                                      ITEM(KEY SIZE TIME SIZE),
                                      ITEM(KEY "<Size>-1</Size>" TIME),
                                      ITEM(KEY "<Size></Size>" TIME),
                                      ITEM(KEY "<Size>18446744073709551616</Size>" TIME),
                                      ITEM(KEY "<Size>1e3</Size>" TIME),
                                      ITEM("<Key></Key>" SIZE TIME),
                                      ITEM(KEY SIZE "<LastModified>now</LastModified>"),
                                      ITEM(KEY SIZE "<LastModified></LastModified>"),
                                      ITEM("")};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(lists(bad[i], LAST, &more), EVLOG_ERR_CORRUPT);
        assert_string_equal(told, "");
    }
    assert_int_equal(lists(ITEM(KEY SIZE TIME), "", &more), EVLOG_ERR_CORRUPT);
    assert_int_equal(lists(ITEM(KEY SIZE TIME), "<IsTruncated>maybe</IsTruncated>", &more), EVLOG_ERR_CORRUPT);
    assert_int_equal(lists(ITEM(KEY SIZE TIME), LAST LAST, &more), EVLOG_ERR_CORRUPT);
    assert_int_equal(s3_xml_list(el_slice_str("<html></html>"), note_object, NULL, &more), EVLOG_ERR_CORRUPT);
}

TEST(s3_xml, reads_a_list)
{
    bool more = false;
    size_t max = 1;
    assert_int_equal(lists(ITEM(KEY SIZE TIME "<ETag>&quot;x&quot;</ETag>") ITEM("<Key>&lt;c&gt;</Key>" SIZE TIME),
                           "<IsTruncated>true</IsTruncated>", &more),
                     0);
    assert_true(more);
    assert_string_equal(told, "a/b 5 1772366400123;<c> 5 1772366400123;");
    assert_int_equal(lists("", LAST, &more), 0);
    assert_false(more);
    told[0] = '\0';
    assert_int_equal(
        s3_xml_list(el_slice_str("<ListBucketResult>" ITEM(KEY SIZE TIME) "<broken"), note_object, &max, &more), 0);
    assert_string_equal(told, "a/b 5 1772366400123;");
}

static bool note_upload(void *arg, const char *key, const char *id)
{
    size_t len = strlen(told);
    (void)arg;
    (void)snprintf(told + len, sizeof told - len, "%s %s;", key, id);
    return true;
}

static bool note_part(void *arg, const struct s3_xml_part *part)
{
    size_t len = strlen(told);
    (void)arg;
    (void)snprintf(told + len, sizeof told - len, "%u %llu %s;", part->number, (unsigned long long)part->len,
                   part->etag);
    return true;
}

TEST(s3_xml, believes_no_upload_that_contradicts_itself)
{
    static const char *const uploads[] = {"<Upload><Key>a</Key></Upload>", "<Upload><UploadId>x</UploadId></Upload>",
                                          "<Upload><Key>a</Key><UploadId></UploadId></Upload>",
                                          "<Upload><Key>a</Key><UploadId>a b</UploadId></Upload>",
                                          "<Upload><Key>a</Key><UploadId>a\n</UploadId></Upload>"};
    static const char *const parts[] = {
        "<Part><PartNumber>0</PartNumber><Size>1</Size><ETag>x</ETag></Part>",
        "<Part><PartNumber>10001</PartNumber><Size>1</Size><ETag>x</ETag></Part>",
        "<Part><PartNumber>4294967297</PartNumber><Size>1</Size><ETag>x</ETag></Part>",
        "<Part><PartNumber>1</PartNumber><Size>1</Size><ETag>x&#13;&#10;y</ETag></Part>",
        "<Part><PartNumber>1</PartNumber><Size>1</Size><ETag>&lt;x&gt;</ETag></Part>",
        "<Part><PartNumber>1</PartNumber><Size>1</Size><ETag></ETag></Part>",
        "<Part><PartNumber>1</PartNumber><Size>1</Size></Part>"};
    char text[512], id[S3_UPLOAD_ID_MAX];
    bool more;
    told[0] = '\0';
    for (size_t i = 0; i < sizeof uploads / sizeof uploads[0]; i++) {
        (void)snprintf(text, sizeof text, "<ListMultipartUploadsResult>%s</ListMultipartUploadsResult>", uploads[i]);
        assert_int_equal(s3_xml_uploads(el_slice_str(text), note_upload, NULL, &more), EVLOG_ERR_CORRUPT);
    }
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        (void)snprintf(text, sizeof text, "<ListPartsResult>%s</ListPartsResult>", parts[i]);
        assert_int_equal(s3_xml_parts(el_slice_str(text), note_part, NULL, &more), EVLOG_ERR_CORRUPT);
    }
    assert_string_equal(told, "");
    static const char *const begun[] = {"<InitiateMultipartUploadResult></InitiateMultipartUploadResult>", "<html/>",
                                        "<InitiateMultipartUploadResult><UploadId/></InitiateMultipartUploadResult>"};
    for (size_t i = 0; i < sizeof begun / sizeof begun[0]; i++) {
        assert_int_equal(s3_xml_upload(el_slice_str(begun[i]), id), EVLOG_ERR_CORRUPT);
    }
}

TEST(s3_xml, reads_uploads_and_parts)
{
    char id[S3_UPLOAD_ID_MAX];
    bool more = true;
    told[0] = '\0';
    assert_int_equal(s3_xml_upload(el_slice_str("<InitiateMultipartUploadResult><Key>a</Key><UploadId>i/+=</UploadId>"
                                                "</InitiateMultipartUploadResult>"),
                                   id),
                     0);
    assert_string_equal(id, "i/+=");
    assert_int_equal(s3_xml_uploads(el_slice_str("<ListMultipartUploadsResult><IsTruncated>false</IsTruncated><Upload>"
                                                 "<Key>a</Key><UploadId>u</UploadId></Upload>"
                                                 "</ListMultipartUploadsResult>"),
                                    note_upload, NULL, &more),
                     0);
    assert_false(more);
    assert_int_equal(s3_xml_parts(el_slice_str("<ListPartsResult><IsTruncated>true</IsTruncated><Part><PartNumber>2"
                                               "</PartNumber><Size>9</Size><ETag>&quot;ab-1&quot;</ETag></Part>"
                                               "</ListPartsResult>"),
                                  note_part, NULL, &more),
                     0);
    assert_true(more);
    assert_string_equal(told, "a u;2 9 ab-1;");
    assert_true(s3_xml_is_completed(el_slice_str("<CompleteMultipartUploadResult><ETag>x</ETag>"
                                                 "</CompleteMultipartUploadResult>")));
    assert_false(s3_xml_is_completed(el_slice_str("<CompleteMultipartUploadResult><ETag>x</ETag>")));
    assert_false(s3_xml_is_completed(el_slice_str("<Error><Code>InternalError</Code></Error>")));
}

TEST(s3_xml, reads_an_error_as_far_as_it_goes)
{
    struct s3_xml_error error;
    assert_true(
        s3_xml_is_error(el_slice_str("<Error><Code>No-Such\nKey</Code><Message>a\nb\x7f\xc3\xa4</Message>"), &error));
    assert_string_equal(error.code, "NoSuchKey");
    assert_string_equal(error.message, "ab");
    assert_false(s3_xml_is_error(el_slice_str("<html><Code>x</Code></html>"), &error));
    assert_false(s3_xml_is_error(el_slice_str(""), &error));
    assert_string_equal(error.code, "");
}
